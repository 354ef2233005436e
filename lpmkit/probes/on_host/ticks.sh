# whole seconds only: all that a shell without perl and python can stamp
start=`date +%s`; k=0
echo "lpmkit-ticks $$ 0 ${start}000000000 0 1000000000 1000000000"
while [ $k -lt ${3%.*} ]; do
    sleep 1; k=$((`date +%s` - start)); echo "$k 0 0" || exit 0
done
