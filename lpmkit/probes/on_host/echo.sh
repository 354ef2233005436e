# no clock finer than a second here: the answer counts, its stamp does not
who="lpmkit-echo $$ 0 `date +%s`"
echo "$who"
while read line; do
    case $line in "?") echo "$who" || exit 0 ;; *) echo "$line 0 0" || exit 0 ;; esac
done
