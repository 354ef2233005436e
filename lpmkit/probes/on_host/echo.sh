# no clock finer than a second here: the answer counts, its stamp does not
echo "lpmkit-echo $$ 0"
while read line; do echo "$line 0 0" || exit 0; done
