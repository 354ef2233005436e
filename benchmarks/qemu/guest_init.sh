#!/bin/busybox sh
# First process of the rig's Linux guest: drivers, one address, a real sshd, and a line of orders on the second serial port.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /run/sshd
mount -t devpts devpts /dev/pts
for module in /modules/*.ko; do
    insmod "$module"
done
for word in $(cat /proc/cmdline); do
    case $word in
    lpm.address=*) address=${word#*=} ;;
    lpm.swap_mib=*) swap=${word#*=} ;;
    esac
done
if [ -n "$swap" ]; then
    echo "${swap}M" >/sys/block/zram0/disksize
    mkswap /dev/zram0 >/dev/null
    swapon /dev/zram0
fi
guest-tools clock /run/clock 0 0
ip link set lo up
ip address add "$address" dev eth0
ip link set eth0 up
/usr/sbin/sshd -r -D -e -f /etc/ssh/sshd_config 2>/dev/console &
stty -F /dev/ttyS1 raw -echo
exec 3<>/dev/ttyS1
echo ready >&3
while read -r order <&3; do
    sh -c "$order" >/dev/console 2>&1 &
done
