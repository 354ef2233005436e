# A guest in one boot sector: fills its memory, then on every timer tick writes one word in each of so many pages and
# prints "TICK TSC" in hexadecimal on the first serial port, and a byte that came in there behind it. The figures at `settings` are filled in by guest.py.
        .set    MEMORY, 0x200000        # the pages written begin here
        .set    IDT, 0x500

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
        mov     divisor, %ax
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

print:  xor     %esi, %esi              # a byte that was asked, if there is one; taken before the counter is read,
        mov     $0x3fd, %edx            # so that the line's stamp lies between question and answer
        in      (%dx), %al
        test    $1, %al
        jz      1f
        mov     $0xf8, %dl
        in      (%dx), %al
        movzbl  %al, %esi
1:      rdtsc
        push    %eax
        push    %edx
        mov     count, %ebx
        call    hex
        mov     $32, %al
        out     %al, (%dx)
        pop     %ebx
        call    hex
        pop     %ebx
        call    hex
        test    %esi, %esi
        jz      1f
        mov     $32, %al
        out     %al, (%dx)
        mov     %esi, %eax
        out     %al, (%dx)
1:      mov     $10, %al
        out     %al, (%dx)
        add     $12, %esp               # back to the loop without iret, which some nested KVM cannot carry out
        jmp     idle

hex:    mov     $0x3f8, %edx            # prints %ebx
        mov     $8, %ecx
1:      rol     $4, %ebx
        mov     %bl, %al
        and     $15, %al
        cmp     $10, %al
        sbb     $0x69, %al
        das
        out     %al, (%dx)
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
next:   .long   0
seed:   .long   1

        .org    _start + 0x1ee - _start
settings:
pages:  .long   0                       # written on each tick
span:   .long   1                       # pages that are ever written
fill:   .long   1                       # pages filled at the start
divisor: .word  1193                    # of 1193182 Hz
scatter: .byte  0                       # 0 one page after the other, 1 at random
        .byte   0
        .byte   0x55, 0xaa
