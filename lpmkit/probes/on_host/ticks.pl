use strict; use Time::HiRes ();
# period and flush interval in seconds, longest life in seconds
my ($period, $flush, $life) = @ARGV;
my $two = eval { Time::HiRes::clock_gettime(Time::HiRes::CLOCK_MONOTONIC()) } ? 1 : 0;
sub mono { $two ? Time::HiRes::clock_gettime(Time::HiRes::CLOCK_MONOTONIC()) : Time::HiRes::time() }
sub wall { $two ? Time::HiRes::clock_gettime(Time::HiRes::CLOCK_REALTIME()) : Time::HiRes::time() }
$| = 1; $SIG{PIPE} = sub { exit 0 };
# what the timer can do: the lower quarter of up to 100 shortest sleeps, so that a passing load does not count; one second at most
my ($began, @took) = mono();
while (@took < 100 && mono() - $began < 1) { my $s = mono(); Time::HiRes::sleep(0.00001); push @took, mono() - $s }
my $timer = (sort { $a <=> $b } @took)[@took / 4];
sub kept { my $wish = shift; $timer > $wish ? int($timer * 1e3 + 0.999) / 1e3 : $wish }
$period = kept($period);
my $start = mono(); my $apart = wall() - $start;
printf "lpmkit-ticks %d %d %.0f %.0f %.0f %.0f\n", $$, $two, $start * 1e9, $apart * 1e9, $period * 1e9, $timer * 1e9;
my ($k, $batch, $sent, $asked, $in) = (0, "", $start, "", "");
vec($in, 0, 1) = 1;
while (1) {
    $k++;
    my ($due, $now) = $start + $k * $period;
    while (($now = mono()) < $due) { Time::HiRes::sleep($due - $now) }
    my $late = $now - $due;
    if ($late >= $period) { my $missed = int($late / $period); $k += $missed; $late -= $missed * $period }
    $batch .= sprintf "%d %.0f %.0f\n", $k, $late * 1e9, (wall() - $now - $apart) * 1e9;
    next if $now - $sent < $flush;
    print $batch; $batch = ""; $sent = $now;
    exit 0 if $now - $began > $life;
    # another period and flush interval may be asked for in a line; the schedule goes on from the slot just stamped
    next unless select(my $ready = $in, undef, undef, 0) > 0;
    exit 0 unless sysread STDIN, $asked, 200, length $asked;
    while ($asked =~ s/^([\d.]+) ([\d.]+)\n//) {
        ($start, $period, $flush, $k) = ($start + $k * $period, kept($1), $2, 0);
        printf "lpmkit-pace %.0f %.0f %.0f\n", $start * 1e9, $period * 1e9, $flush * 1e9;
    }
}
