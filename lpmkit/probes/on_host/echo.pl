use strict; use Time::HiRes ();
my $two = eval { Time::HiRes::clock_gettime(Time::HiRes::CLOCK_MONOTONIC()) } ? 1 : 0;
sub mono { $two ? Time::HiRes::clock_gettime(Time::HiRes::CLOCK_MONOTONIC()) : Time::HiRes::time() }
sub wall { $two ? Time::HiRes::clock_gettime(Time::HiRes::CLOCK_REALTIME()) : Time::HiRes::time() }
$| = 1; $SIG{PIPE} = sub { exit 0 };
# who answers: process, clocks, since when in seconds of the time of day; told at the start and to whoever asks "?"
my $who = "lpmkit-echo $$ $two $^T\n";
print $who;
while (my $line = <STDIN>) {
    if ($line eq "?\n") { print $who; next }
    chomp $line; printf "%s %.0f %.0f\n", $line, mono() * 1e9, wall() * 1e9
}
