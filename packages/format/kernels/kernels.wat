;; Operations on runs of bits and bytes in the memory of this module. Lengths are multiples of 64 bytes, unless said otherwise.
;; src/bitmap/ and src/ports/ have the same operations in JavaScript, and call these. `node kernels/build.ts` makes src/kernels/module.ts.
(module
  ;; Tables, input and output take the first 256 KiB; the rest are slots, see src/kernels/slots.ts. The maximum is 2 GiB.
  (memory (export "memory") 4 32768)

  ;; Adds the bits of `from`: OR. The result of this and the next three operations is written to `at`.
  (func (export "or") (param $at i32) (param $from i32) (param $bytes i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $at) (local.get $bytes)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (v128.store (local.get $at) (v128.or (v128.load (local.get $at)) (v128.load (local.get $from))))
        (v128.store offset=16 (local.get $at) (v128.or (v128.load offset=16 (local.get $at)) (v128.load offset=16 (local.get $from))))
        (v128.store offset=32 (local.get $at) (v128.or (v128.load offset=32 (local.get $at)) (v128.load offset=32 (local.get $from))))
        (v128.store offset=48 (local.get $at) (v128.or (v128.load offset=48 (local.get $at)) (v128.load offset=48 (local.get $from))))
        (local.set $at (i32.add (local.get $at) (i32.const 64)))
        (local.set $from (i32.add (local.get $from) (i32.const 64)))
        (br $next))))

  ;; Keeps the bits that are set in `from` too: AND.
  (func (export "and") (param $at i32) (param $from i32) (param $bytes i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $at) (local.get $bytes)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (v128.store (local.get $at) (v128.and (v128.load (local.get $at)) (v128.load (local.get $from))))
        (v128.store offset=16 (local.get $at) (v128.and (v128.load offset=16 (local.get $at)) (v128.load offset=16 (local.get $from))))
        (v128.store offset=32 (local.get $at) (v128.and (v128.load offset=32 (local.get $at)) (v128.load offset=32 (local.get $from))))
        (v128.store offset=48 (local.get $at) (v128.and (v128.load offset=48 (local.get $at)) (v128.load offset=48 (local.get $from))))
        (local.set $at (i32.add (local.get $at) (i32.const 64)))
        (local.set $from (i32.add (local.get $from) (i32.const 64)))
        (br $next))))

  ;; Clears the bits that are set in `from`: AND NOT.
  (func (export "andNot") (param $at i32) (param $from i32) (param $bytes i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $at) (local.get $bytes)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (v128.store (local.get $at) (v128.andnot (v128.load (local.get $at)) (v128.load (local.get $from))))
        (v128.store offset=16 (local.get $at) (v128.andnot (v128.load offset=16 (local.get $at)) (v128.load offset=16 (local.get $from))))
        (v128.store offset=32 (local.get $at) (v128.andnot (v128.load offset=32 (local.get $at)) (v128.load offset=32 (local.get $from))))
        (v128.store offset=48 (local.get $at) (v128.andnot (v128.load offset=48 (local.get $at)) (v128.load offset=48 (local.get $from))))
        (local.set $at (i32.add (local.get $at) (i32.const 64)))
        (local.set $from (i32.add (local.get $from) (i32.const 64)))
        (br $next))))

  ;; Inverts the bits that are set in `from`: XOR.
  (func (export "xor") (param $at i32) (param $from i32) (param $bytes i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $at) (local.get $bytes)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (v128.store (local.get $at) (v128.xor (v128.load (local.get $at)) (v128.load (local.get $from))))
        (v128.store offset=16 (local.get $at) (v128.xor (v128.load offset=16 (local.get $at)) (v128.load offset=16 (local.get $from))))
        (v128.store offset=32 (local.get $at) (v128.xor (v128.load offset=32 (local.get $at)) (v128.load offset=32 (local.get $from))))
        (v128.store offset=48 (local.get $at) (v128.xor (v128.load offset=48 (local.get $at)) (v128.load offset=48 (local.get $from))))
        (local.set $at (i32.add (local.get $at) (i32.const 64)))
        (local.set $from (i32.add (local.get $from) (i32.const 64)))
        (br $next))))

  ;; Returns the address of the first word in [at, end) that is not `word`; `end` if there is none. Both are multiples of 4.
  (func (export "skip") (param $at i32) (param $end i32) (param $word i32) (result i32)
    (local $same v128)
    (local.set $same (i32x4.splat (local.get $word)))
    (block $found
      (loop $next
        (br_if $found (i32.gt_u (i32.add (local.get $at) (i32.const 64)) (local.get $end)))
        (br_if $found
          (v128.any_true
            (v128.or
              (v128.or (v128.xor (v128.load (local.get $at)) (local.get $same)) (v128.xor (v128.load offset=16 (local.get $at)) (local.get $same)))
              (v128.or (v128.xor (v128.load offset=32 (local.get $at)) (local.get $same)) (v128.xor (v128.load offset=48 (local.get $at)) (local.get $same))))))
        (local.set $at (i32.add (local.get $at) (i32.const 64)))
        (br $next)))
    (block $done
      (loop $word
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (br_if $done (i32.ne (i32.load (local.get $at)) (local.get $word)))
        (local.set $at (i32.add (local.get $at) (i32.const 4)))
        (br $word)))
    (local.get $at))

  ;; Returns the number of bits that are set in `bytes` bytes, a multiple of 16.
  (func (export "count") (param $at i32) (param $bytes i32) (result i32)
    (local $end i32) (local $a i64) (local $b i64)
    (local.set $end (i32.add (local.get $at) (local.get $bytes)))
    (if (i32.and (local.get $bytes) (i32.const 16))
      (then
        (local.set $a (i64.add (i64.popcnt (i64.load (local.get $at))) (i64.popcnt (i64.load offset=8 (local.get $at)))))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $a (i64.add (local.get $a) (i64.add (i64.popcnt (i64.load (local.get $at))) (i64.popcnt (i64.load offset=8 (local.get $at))))))
        (local.set $b (i64.add (local.get $b) (i64.add (i64.popcnt (i64.load offset=16 (local.get $at))) (i64.popcnt (i64.load offset=24 (local.get $at))))))
        (local.set $at (i32.add (local.get $at) (i32.const 32)))
        (br $next)))
    (i32.wrap_i64 (i64.add (local.get $a) (local.get $b))))

  ;; Writes the edges of the runs in `bytes` bytes of bits to `out`, as 32-bit numbers, and returns the address after the last one. Bit 0 is
  ;; number `bit`. `open` is 1 if the bit before it is set, else 0. The edge at which a run begins is its first bit; the edge at which it
  ;; ends is its last bit. Up to 8 bytes after the result are overwritten.
  (func (export "edges") (param $at i32) (param $bytes i32) (param $bit i32) (param $open i32) (param $out i32) (result i32)
    (local $end i32) (local $e i64) (local $n i32) (local $mask i32) (local $word i32) (local $base i32)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128) (local $zero v128)
    (local.set $end (i32.add (local.get $at) (local.get $bytes)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $a (v128.load (local.get $at)))
        (local.set $b (v128.load offset=16 (local.get $at)))
        (local.set $c (v128.load offset=32 (local.get $at)))
        (local.set $d (v128.load offset=48 (local.get $at)))
        (if
          (if (result i32) (local.get $open)
            (then
              (v128.any_true
                (v128.not (v128.and (v128.and (local.get $a) (local.get $b)) (v128.and (local.get $c) (local.get $d))))))
            (else
              (v128.any_true (v128.or (v128.or (local.get $a) (local.get $b)) (v128.or (local.get $c) (local.get $d))))))
          (then
            ;; An edge is only in words that are not zero, or that follow a bit that is set: which ones these are is found for eight words
            ;; at once, since nobody can guess it of each.
            (local.set $mask
              (i32.or
                (i32.or
                  (i32.or
                    (i64x2.bitmask (i64x2.ne (local.get $a) (local.get $zero)))
                    (i32.shl (i64x2.bitmask (i64x2.ne (local.get $b) (local.get $zero))) (i32.const 2)))
                  (i32.or
                    (i32.shl (i64x2.bitmask (i64x2.ne (local.get $c) (local.get $zero))) (i32.const 4))
                    (i32.shl (i64x2.bitmask (i64x2.ne (local.get $d) (local.get $zero))) (i32.const 6))))
                (i32.or
                  (i32.or
                    (i32.or (local.get $open) (i32.shl (i64x2.bitmask (local.get $a)) (i32.const 1)))
                    (i32.shl (i64x2.bitmask (local.get $b)) (i32.const 3)))
                  (i32.or
                    (i32.shl (i64x2.bitmask (local.get $c)) (i32.const 5))
                    (i32.and (i32.shl (i64x2.bitmask (local.get $d)) (i32.const 7)) (i32.const 0x80))))))
            (loop $word
              (local.set $word (i32.ctz (local.get $mask)))
              (local.set $base (i32.add (local.get $bit) (i32.shl (local.get $word) (i32.const 6))))
              (local.set $e (i64.load (i32.add (local.get $at) (i32.shl (local.get $word) (i32.const 3)))))
              (local.set $e
                (i64.xor (local.get $e)
                  (i64.or (i64.shl (local.get $e) (i64.const 1)) (i64.extend_i32_u (local.get $open)))))
              (local.set $n (i32.wrap_i64 (i64.popcnt (local.get $e))))
              ;; Two edges are written at once; those that are not there are overwritten by the next word.
              (loop $more
                (i32.store (local.get $out)
                  (i32.sub (i32.add (local.get $base) (i32.wrap_i64 (i64.ctz (local.get $e)))) (local.get $open)))
                (local.set $e (i64.and (local.get $e) (i64.sub (local.get $e) (i64.const 1))))
                (i32.store offset=4 (local.get $out)
                  (i32.sub (i32.add (local.get $base) (i32.wrap_i64 (i64.ctz (local.get $e))))
                    (i32.xor (local.get $open) (i32.const 1))))
                (local.set $e (i64.and (local.get $e) (i64.sub (local.get $e) (i64.const 1))))
                (if (i32.gt_s (local.get $n) (i32.const 2))
                  (then
                    (local.set $out (i32.add (local.get $out) (i32.const 8)))
                    (local.set $n (i32.sub (local.get $n) (i32.const 2)))
                    (br $more))))
              (local.set $out (i32.add (local.get $out) (i32.shl (local.get $n) (i32.const 2))))
              (local.set $open (i32.xor (local.get $open) (i32.and (local.get $n) (i32.const 1))))
              (local.set $mask (i32.and (local.get $mask) (i32.sub (local.get $mask) (i32.const 1))))
              (br_if $word (local.get $mask)))))
        (local.set $at (i32.add (local.get $at) (i32.const 64)))
        (local.set $bit (i32.add (local.get $bit) (i32.const 512)))
        (br $next)))
    (local.get $out))

  ;; Merges each pair of adjacent bits of `bytes` bytes, a multiple of 32, into one bit (OR), and writes half as many bytes to `out`. Each
  ;; half of a byte is looked up in a table of the two bits that it becomes.
  (func (export "coarsen") (param $at i32) (param $bytes i32) (param $out i32)
    (local $end i32) (local $v v128) (local $w v128) (local $low v128) (local $two v128) (local $four v128) (local $byte v128)
    (local.set $end (i32.add (local.get $at) (local.get $bytes)))
    (local.set $low (i32x4.splat (i32.const 0x0f0f0f0f)))
    (local.set $byte (i32x4.splat (i32.const 0x00ff00ff)))
    (local.set $two (v128.const i8x16 0 1 1 1 2 3 3 3 2 3 3 3 2 3 3 3))
    (local.set $four (i16x8.shl (local.get $two) (i32.const 2)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $v (v128.load (local.get $at)))
        (local.set $v
          (v128.or
            (i8x16.swizzle (local.get $two) (v128.and (local.get $v) (local.get $low)))
            (i8x16.swizzle (local.get $four) (v128.and (i16x8.shr_u (local.get $v) (i32.const 4)) (local.get $low)))))
        (local.set $w (v128.load offset=16 (local.get $at)))
        (local.set $w
          (v128.or
            (i8x16.swizzle (local.get $two) (v128.and (local.get $w) (local.get $low)))
            (i8x16.swizzle (local.get $four) (v128.and (i16x8.shr_u (local.get $w) (i32.const 4)) (local.get $low)))))
        (v128.store (local.get $out)
          (i8x16.narrow_i16x8_u
            (v128.and (v128.or (local.get $v) (i16x8.shr_u (local.get $v) (i32.const 4))) (local.get $byte))
            (v128.and (v128.or (local.get $w) (i16x8.shr_u (local.get $w) (i32.const 4))) (local.get $byte))))
        (local.set $out (i32.add (local.get $out) (i32.const 16)))
        (local.set $at (i32.add (local.get $at) (i32.const 32)))
        (br $next))))

  ;; Doubles each bit of `bytes` bytes, a multiple of 16, and writes twice as many bytes to `out`. Each half of a byte is looked up in a
  ;; table of the byte that it becomes.
  (func (export "refine") (param $at i32) (param $bytes i32) (param $out i32)
    (local $end i32) (local $v v128) (local $w v128) (local $low v128) (local $table v128)
    (local.set $end (i32.add (local.get $at) (local.get $bytes)))
    (local.set $low (i32x4.splat (i32.const 0x0f0f0f0f)))
    (local.set $table (v128.const i8x16 0x00 0x03 0x0c 0x0f 0x30 0x33 0x3c 0x3f 0xc0 0xc3 0xcc 0xcf 0xf0 0xf3 0xfc 0xff))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $v (v128.load (local.get $at)))
        (local.set $w (i8x16.swizzle (local.get $table) (v128.and (i16x8.shr_u (local.get $v) (i32.const 4)) (local.get $low))))
        (local.set $v (i8x16.swizzle (local.get $table) (v128.and (local.get $v) (local.get $low))))
        (v128.store (local.get $out)
          (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $v) (local.get $w)))
        (v128.store offset=16 (local.get $out)
          (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $v) (local.get $w)))
        (local.set $out (i32.add (local.get $out) (i32.const 32)))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br $next))))

  ;; Makes the sixteen tables of "crc32", 16 KiB at address 0, from the first one, which the caller wrote.
  (func (export "crcTables")
    (local $at i32) (local $value i32)
    (local.set $at (i32.const 1024))
    (loop $next
      (local.set $value (i32.load (i32.sub (local.get $at) (i32.const 1024))))
      (i32.store (local.get $at)
        (i32.xor (i32.shr_u (local.get $value) (i32.const 8))
          (i32.load (i32.shl (i32.and (local.get $value) (i32.const 255)) (i32.const 2)))))
      (local.set $at (i32.add (local.get $at) (i32.const 4)))
      (br_if $next (i32.lt_u (local.get $at) (i32.const 16384)))))

  ;; Returns the state of a CRC-32 after `bytes` more bytes, of any number. `crc` is the state before, inverted as usual.
  (func (export "crc32") (param $at i32) (param $bytes i32) (param $crc i32) (result i32)
    (local $end i32) (local $a i64) (local $b i64)
    (local.set $end (i32.add (local.get $at) (i32.and (local.get $bytes) (i32.const -16))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $a (i64.xor (i64.load (local.get $at)) (i64.extend_i32_u (local.get $crc))))
        (local.set $b (i64.load offset=8 (local.get $at)))
        (local.set $crc
          (i32.xor
            (i32.xor
              (i32.xor
                (i32.xor (i32.load offset=15360 (i32.wrap_i64 (i64.and (i64.shl (local.get $a) (i64.const 2)) (i64.const 1020)))) (i32.load offset=14336 (i32.wrap_i64 (i64.and (i64.shr_u (local.get $a) (i64.const 6)) (i64.const 1020)))))
                (i32.xor (i32.load offset=13312 (i32.wrap_i64 (i64.and (i64.shr_u (local.get $a) (i64.const 14)) (i64.const 1020)))) (i32.load offset=12288 (i32.wrap_i64 (i64.and (i64.shr_u (local.get $a) (i64.const 22)) (i64.const 1020))))))
              (i32.xor
                (i32.xor (i32.load offset=11264 (i32.wrap_i64 (i64.and (i64.shr_u (local.get $a) (i64.const 30)) (i64.const 1020)))) (i32.load offset=10240 (i32.wrap_i64 (i64.and (i64.shr_u (local.get $a) (i64.const 38)) (i64.const 1020)))))
                (i32.xor (i32.load offset=9216 (i32.wrap_i64 (i64.and (i64.shr_u (local.get $a) (i64.const 46)) (i64.const 1020)))) (i32.load offset=8192 (i32.wrap_i64 (i64.and (i64.shr_u (local.get $a) (i64.const 54)) (i64.const 1020)))))))
            (i32.xor
              (i32.xor
                (i32.xor (i32.load offset=7168 (i32.wrap_i64 (i64.and (i64.shl (local.get $b) (i64.const 2)) (i64.const 1020)))) (i32.load offset=6144 (i32.wrap_i64 (i64.and (i64.shr_u (local.get $b) (i64.const 6)) (i64.const 1020)))))
                (i32.xor (i32.load offset=5120 (i32.wrap_i64 (i64.and (i64.shr_u (local.get $b) (i64.const 14)) (i64.const 1020)))) (i32.load offset=4096 (i32.wrap_i64 (i64.and (i64.shr_u (local.get $b) (i64.const 22)) (i64.const 1020))))))
              (i32.xor
                (i32.xor (i32.load offset=3072 (i32.wrap_i64 (i64.and (i64.shr_u (local.get $b) (i64.const 30)) (i64.const 1020)))) (i32.load offset=2048 (i32.wrap_i64 (i64.and (i64.shr_u (local.get $b) (i64.const 38)) (i64.const 1020)))))
                (i32.xor (i32.load offset=1024 (i32.wrap_i64 (i64.and (i64.shr_u (local.get $b) (i64.const 46)) (i64.const 1020)))) (i32.load (i32.wrap_i64 (i64.and (i64.shr_u (local.get $b) (i64.const 54)) (i64.const 1020)))))))))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br $next)))
    (local.set $end (i32.add (local.get $end) (i32.and (local.get $bytes) (i32.const 15))))
    (block $ended
      (loop $byte
        (br_if $ended (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $crc
          (i32.xor (i32.shr_u (local.get $crc) (i32.const 8))
            (i32.load
              (i32.shl (i32.and (i32.xor (local.get $crc) (i32.load8_u (local.get $at))) (i32.const 255)) (i32.const 2)))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $byte)))
    (local.get $crc))
)
