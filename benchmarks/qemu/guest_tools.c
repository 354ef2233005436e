/* What the Linux guest of the rig runs besides its own programs: loads and the hand that sets its scripted clock. Linked statically.
 *
 *   guest-tools spin                          keep one processor busy
 *   guest-tools write MIB_PER_S MIB           write that much memory a second, page by page over that many MiB, for ever
 *   guest-tools clock FILE MONOTONIC REALTIME take nanoseconds off both clocks, in the file that clocks.c reads
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static int spin(void) {
    volatile unsigned long counter = 0;
    for (;;) counter++;
}

static int write_memory(double mib_per_s, size_t mib) {
    size_t pages = mib * 256, next = 0;
    volatile unsigned char *memory = mmap(0, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return 1;
    uint64_t seed = 88172645463325252ULL; /* no page is like another: pages that compress to nothing are not swapped in earnest */
    for (size_t page = 0; page < pages; page++)
        for (size_t word = 0; word < 512; word++) {
            seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
            ((volatile uint64_t *)(memory + page * 4096))[word] = seed;
        }
    size_t burst = (size_t)(mib_per_s * 256 / 100) + 1;
    for (;;) {
        for (size_t page = 0; page < burst; page++) {
            memory[next * 4096]++;
            next = (next + 1) % pages;
        }
        usleep(10000);
    }
}

static int set_clock(const char *name, int64_t monotonic, int64_t realtime) {
    int64_t missed[2] = {monotonic, realtime};
    int file = open(name, O_WRONLY | O_CREAT, 0644);
    return file < 0 || write(file, missed, sizeof missed) != sizeof missed;
}

int main(int count, char **words) {
    if (count == 2 && !strcmp(words[1], "spin")) return spin();
    if (count == 4 && !strcmp(words[1], "write")) return write_memory(atof(words[2]), strtoul(words[3], 0, 10));
    if (count == 5 && !strcmp(words[1], "clock")) return set_clock(words[2], atoll(words[3]), atoll(words[4]));
    return 2;
}
