# A guest in one boot sector. It fills its memory, then it is a kernel and one process: its timer beats 2000 times a second, and at a
# beat it answers the byte that came in on the first serial port, as a kernel answers an echo request. On an absolute schedule of its own counter,
# as the process that ticks in a partition keeps one, it writes one word in each of so many pages and ticks: what was missed in a pause is due
# at once, and slots are skipped. Both print "TICK TSC" in hexadecimal there, and the answer has the byte behind it.
# How fast the counter runs is learned from the first 256 beats. The figures at `settings` are filled in by guest.py.
        .set    MEMORY, 0x200000        # the pages written begin here
        .set    IDT, 0x500
        .set    DIVISOR, 597            # of 1193182 Hz: guest.py's BEATS_HZ
        .set    LINE, 0x1000
        .set    LEARNED, 256            # beats that the counter is measured over

        .code16
        .globl  _start
_start: cli
        xor     %ax, %ax
        mov     %ax, %ds
        in      $0x92, %al
        or      $2, %al
        out     %al, $0x92
        lgdt    gdtr
        mov     %cr0, %eax
        or      $1, %al
        mov     %eax, %cr0
        ljmp    $8, $flat

        .code32
flat:   mov     $16, %ax
        mov     %ax, %ds
        mov     %ax, %es
        mov     %ax, %fs
        mov     %ax, %gs
        mov     %ax, %ss
        mov     $0x7c00, %esp

        mov     fill, %ecx
        mov     $MEMORY, %edi
1:      mov     %edi, (%edi)            # no page is left empty: empty pages are not sent
        add     $4096, %edi
        loop    1b

        mov     $0x34, %al              # timer 0, rate generator
        out     %al, $0x43
        mov     $DIVISOR, %ax
        out     %al, $0x40
        mov     %ah, %al
        out     %al, $0x40
        mov     $0xfe, %al              # only the timer, which the BIOS left at vector 8
        out     %al, $0x21
        mov     $0xff, %al
        out     %al, $0xa1
        movl    $(0x00080000 + tick), IDT + 8 * 8
        movl    $0x00008e00, IDT + 8 * 8 + 4
        lidt    idtr
idle:   sti
1:      hlt
        jmp     1b

tick:   mov     $0x20, %al
        out     %al, $0x20
        rdtsc
        shrd    $10, %edx, %eax
        incl    beats
        mov     beats, %ecx
        loop    1f
        mov     %eax, due               # the first beat
1:      cmp     $LEARNED, %ecx
        ja      run
        jb      over
        mov     %eax, %ebx
        sub     due, %eax
        mull    slot
        shr     $8, %eax                # by LEARNED
        mov     %eax, period
        mov     %ebx, due
over:   add     $12, %esp               # back to the loop without iret, which some nested KVM cannot carry out
        jmp     idle

run:    xor     %edi, %edi
        sub     due, %eax
        js      print
        inc     %edi
1:      mov     period, %ecx
        add     %ecx, due
        sub     %ecx, %eax
        jns     1b
        incl    count
        mov     pages, %ecx
        jecxz   print
1:      cmpb    $0, scatter
        je      2f
        imul    $1664525, seed, %eax
        add     $1013904223, %eax
        mov     %eax, seed
        mull    span
        jmp     3f
2:      mov     next, %edx
        incl    next
        cmp     span, %edx
        jb      3f
        xor     %edx, %edx
        movl    $1, next
3:      shl     $12, %edx
        incl    MEMORY(%edx)
        loop    1b

print:  xor     %ebp, %ebp              # a byte that was asked, if there is one; taken before the counter is read,
        mov     $0x3fd, %edx            # so that the line's stamp lies between question and answer
        in      (%dx), %al
        test    $1, %al
        jz      1f
        mov     $0xf8, %dl
        in      (%dx), %al
        movzbl  %al, %ebp
1:      or      %ebp, %edi
        jz      over
        rdtsc
        mov     $LINE, %edi
        push    %eax
        push    %edx
        mov     count, %ebx
        call    hex
        mov     $32, %al
        stosb
        pop     %ebx
        call    hex
        pop     %ebx
        call    hex
        test    %ebp, %ebp
        jz      1f
        mov     $32, %al
        stosb
        mov     %ebp, %eax
        stosb
1:      mov     $10, %al
        stosb
        mov     $0x3f8, %edx            # in one go: byte by byte a line takes a millisecond where the hypervisor is a guest itself
        mov     $LINE, %esi
        mov     %edi, %ecx
        sub     %esi, %ecx
        rep outsb
        jmp     over

hex:    mov     $8, %ecx                # puts %ebx into the line
1:      rol     $4, %ebx
        mov     %bl, %al
        and     $15, %al
        cmp     $10, %al
        sbb     $0x69, %al
        das
        stosb
        loop    1b
        ret

gdt:    .quad   0
        .quad   0x00cf9a000000ffff
        .quad   0x00cf92000000ffff
gdtr:   .word   gdtr - gdt - 1
        .long   gdt
idtr:   .word   0x7f
        .long   IDT
count:  .long   0
beats:  .long   0
due:    .long   0                       # in 1024 counts
period: .long   0                       # as well
next:   .long   0
seed:   .long   1

        .org    _start + 0x1ec - _start
settings:
pages:  .long   0                       # written on each tick
span:   .long   1                       # pages that are ever written
fill:   .long   1                       # pages filled at the start
slot:   .long   20                      # beats from one tick to the next
scatter: .byte  0                       # 0 one page after the other, 1 at random
        .byte   0
        .byte   0x55, 0xaa
