;; Operations on runs of bits and bytes in the memory of this module. Lengths are multiples of 16 bytes, unless said otherwise: the caller
;; pads with zeros. src/kernels/ has the same operations in JavaScript, and calls these. `node kernels/build.ts` makes src/kernels/module.ts.
(module
  (memory (export "memory") 4)

  ;; Returns the number of bits that are set in `bytes` bytes.
  (func (export "count") (param $at i32) (param $bytes i32) (result i32)
    (local $end i32) (local $a i64) (local $b i64)
    (local.set $end (i32.add (local.get $at) (local.get $bytes)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $a (i64.add (local.get $a) (i64.popcnt (i64.load (local.get $at)))))
        (local.set $b (i64.add (local.get $b) (i64.popcnt (i64.load offset=8 (local.get $at)))))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br $next)))
    (i32.wrap_i64 (i64.add (local.get $a) (local.get $b))))

  ;; Writes the edges of the runs in `bytes` bytes of bits to `out`, as 32-bit numbers, and returns the address after the last one. Bit 0 is
  ;; number `bit`. `open` is 1 if the bit before it is set, else 0. The edge at which a run begins is its first bit; the edge at which it
  ;; ends is its last bit. Up to 8 bytes after the result are overwritten.
  (func (export "edges") (param $at i32) (param $bytes i32) (param $bit i32) (param $open i32) (param $out i32) (result i32)
    (local $end i32) (local $w i64) (local $e i64) (local $n i32) (local $carry i64)
    (local.set $end (i32.add (local.get $at) (local.get $bytes)))
    (local.set $carry (i64.extend_i32_u (local.get $open)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $w (i64.load (local.get $at)))
        (local.set $e (i64.xor (local.get $w) (i64.or (i64.shl (local.get $w) (i64.const 1)) (local.get $carry))))
        (if (i64.ne (local.get $e) (i64.const 0))
          (then
            (local.set $carry (i64.shr_u (local.get $w) (i64.const 63)))
            (local.set $n (i32.wrap_i64 (i64.popcnt (local.get $e))))
            ;; Two edges are written at once; if there is only one, the next word overwrites the second.
            (loop $more
              (i32.store (local.get $out)
                (i32.sub (i32.add (local.get $bit) (i32.wrap_i64 (i64.ctz (local.get $e)))) (local.get $open)))
              (local.set $e (i64.and (local.get $e) (i64.sub (local.get $e) (i64.const 1))))
              (i32.store offset=4 (local.get $out)
                (i32.sub (i32.add (local.get $bit) (i32.wrap_i64 (i64.ctz (local.get $e))))
                  (i32.xor (local.get $open) (i32.const 1))))
              (local.set $e (i64.and (local.get $e) (i64.sub (local.get $e) (i64.const 1))))
              (if (i32.gt_s (local.get $n) (i32.const 2))
                (then
                  (local.set $out (i32.add (local.get $out) (i32.const 8)))
                  (local.set $n (i32.sub (local.get $n) (i32.const 2)))
                  (br $more))))
            (local.set $out (i32.add (local.get $out) (i32.shl (local.get $n) (i32.const 2))))
            (local.set $open (i32.xor (local.get $open) (i32.and (local.get $n) (i32.const 1))))))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (local.set $bit (i32.add (local.get $bit) (i32.const 64)))
        (br $next)))
    (local.get $out))

  ;; Merges each pair of adjacent bits of `bytes` bytes into one bit (OR), and writes half as many bytes to `out`.
  (func (export "coarsen") (param $at i32) (param $bytes i32) (param $out i32)
    (local $end i32) (local $v v128)
    (local.set $end (i32.add (local.get $at) (local.get $bytes)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $v (v128.load (local.get $at)))
        (local.set $v (v128.and (v128.or (local.get $v) (i64x2.shr_u (local.get $v) (i32.const 1))) (v128.const i64x2 0x5555555555555555 0x5555555555555555)))
        (local.set $v (v128.and (v128.or (local.get $v) (i64x2.shr_u (local.get $v) (i32.const 1))) (v128.const i64x2 0x3333333333333333 0x3333333333333333)))
        (local.set $v (v128.and (v128.or (local.get $v) (i64x2.shr_u (local.get $v) (i32.const 2))) (v128.const i64x2 0x0f0f0f0f0f0f0f0f 0x0f0f0f0f0f0f0f0f)))
        (local.set $v (v128.and (v128.or (local.get $v) (i64x2.shr_u (local.get $v) (i32.const 4))) (v128.const i64x2 0x00ff00ff00ff00ff 0x00ff00ff00ff00ff)))
        (local.set $v (v128.and (v128.or (local.get $v) (i64x2.shr_u (local.get $v) (i32.const 8))) (v128.const i64x2 0x0000ffff0000ffff 0x0000ffff0000ffff)))
        (local.set $v (v128.or (local.get $v) (i64x2.shr_u (local.get $v) (i32.const 16))))
        (i64.store (local.get $out)
          (i64x2.extract_lane 0 (i8x16.shuffle 0 1 2 3 8 9 10 11 0 1 2 3 8 9 10 11 (local.get $v) (local.get $v))))
        (local.set $out (i32.add (local.get $out) (i32.const 8)))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br $next))))

  ;; Doubles each bit of `bytes` bytes, a multiple of 8, and writes twice as many bytes to `out`.
  (func (export "refine") (param $at i32) (param $bytes i32) (param $out i32)
    (local $end i32) (local $v v128)
    (local.set $end (i32.add (local.get $at) (local.get $bytes)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $v (i64x2.extend_low_i32x4_u (v128.load64_zero (local.get $at))))
        (local.set $v (v128.and (v128.or (local.get $v) (i64x2.shl (local.get $v) (i32.const 16))) (v128.const i64x2 0x0000ffff0000ffff 0x0000ffff0000ffff)))
        (local.set $v (v128.and (v128.or (local.get $v) (i64x2.shl (local.get $v) (i32.const 8))) (v128.const i64x2 0x00ff00ff00ff00ff 0x00ff00ff00ff00ff)))
        (local.set $v (v128.and (v128.or (local.get $v) (i64x2.shl (local.get $v) (i32.const 4))) (v128.const i64x2 0x0f0f0f0f0f0f0f0f 0x0f0f0f0f0f0f0f0f)))
        (local.set $v (v128.and (v128.or (local.get $v) (i64x2.shl (local.get $v) (i32.const 2))) (v128.const i64x2 0x3333333333333333 0x3333333333333333)))
        (local.set $v (v128.and (v128.or (local.get $v) (i64x2.shl (local.get $v) (i32.const 1))) (v128.const i64x2 0x5555555555555555 0x5555555555555555)))
        (v128.store (local.get $out) (v128.or (local.get $v) (i64x2.shl (local.get $v) (i32.const 1))))
        (local.set $out (i32.add (local.get $out) (i32.const 16)))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
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
