;; Formats the lines of a map of extents. src/extents/extent-lines.ts does the same in JavaScript. `node kernels/build.ts` makes
;; src/kernels/lines-module.ts.
(module
  ;; The first 256 bytes are what the caller writes, see src/kernels/lines.ts, and what is kept between two calls:
  ;;   0, 16     text before the offset, and between offset and length
  ;;   32, 80    text after the length of a clean and of a dirty extent. Texts are written whole; what follows overwrites the rest
  ;;   128, 136  offset on the disk where the next line begins, and where the last one ends, 64 bits
  ;;   144       logarithm of the granularity
  ;;   148       lengths of the three texts
  ;;   160       width to which numbers are aligned, 8 to 16, or 0
  ;;   192       the bytes from 0 to 31: from n on, they are the places of the digits after the first n of 16
  ;;   224       digits of the offset without the last eight
  ;; Runs and lines follow.
  (memory (export "memory") 30 30)
  (data (i32.const 192) "\00\01\02\03\04\05\06\07\08\09\0a\0b\0c\0d\0e\0f\10\11\12\13\14\15\16\17\18\19\1a\1b\1c\1d\1e\1f")

  ;; Returns 16 digits, a byte each, of two numbers of eight digits.
  (func $digits (param $high i32) (param $low i32) (result v128)
    (local $v v128) (local $w v128) (local $h i32) (local $l i32)
    (local.set $h (i32.div_u (local.get $high) (i32.const 10000)))
    (local.set $l (i32.div_u (local.get $low) (i32.const 10000)))
    (local.set $v
      (i32x4.replace_lane 3
        (i32x4.replace_lane 2
          (i32x4.replace_lane 1
            (i32x4.splat (local.get $h))
            (i32.sub (local.get $high) (i32.mul (local.get $h) (i32.const 10000))))
          (local.get $l))
        (i32.sub (local.get $low) (i32.mul (local.get $l) (i32.const 10000)))))
    (local.set $w (i32x4.shr_u (i32x4.mul (local.get $v) (i32x4.splat (i32.const 5243))) (i32.const 19)))
    (local.set $v (i32x4.sub (i32x4.shl (local.get $v) (i32.const 16)) (i32x4.mul (local.get $w) (i32x4.splat (i32.const 6553599)))))
    (local.set $w (i16x8.shr_u (i16x8.mul (local.get $v) (i16x8.splat (i32.const 103))) (i32.const 10)))
    (i16x8.sub (i16x8.shl (local.get $v) (i32.const 8)) (i16x8.mul (local.get $w) (i16x8.splat (i32.const 2559)))))

  ;; Writes a number, aligned to the right in `width` columns of at most 16, and returns the address after it.
  (func $number (param $out i32) (param $value i64) (param $width i32) (result i32)
    (local $rest i64) (local $skip i32) (local $room i32) (local $v v128)
    (local.set $rest (i64.rem_u (local.get $value) (i64.const 10000000000000000)))
    (local.set $v
      (call $digits
        (i32.wrap_i64 (i64.div_u (local.get $rest) (i64.const 100000000)))
        (i32.wrap_i64 (i64.rem_u (local.get $rest) (i64.const 100000000)))))
    (if (i64.ne (local.get $rest) (local.get $value))
      (then (local.set $out (call $number (local.get $out) (i64.div_u (local.get $value) (i64.const 10000000000000000)) (i32.const 0))))
      (else
        (local.set $skip (i32.ctz (i32.or (i8x16.bitmask (i8x16.ne (local.get $v) (v128.const i64x2 0 0))) (i32.const 0x8000))))))
    (local.set $v
      (v128.bitselect
        (i8x16.splat (i32.const 0x20))
        (v128.or (local.get $v) (i8x16.splat (i32.const 0x30)))
        (i8x16.lt_u (v128.load (i32.const 192)) (i8x16.splat (local.get $skip)))))
    (local.set $room (i32.sub (i32.const 16) (local.get $width)))
    (local.set $skip (select (local.get $skip) (local.get $room) (i32.lt_u (local.get $skip) (local.get $room))))
    (v128.store (local.get $out) (i8x16.swizzle (local.get $v) (v128.load offset=192 (local.get $skip))))
    (i32.sub (i32.add (local.get $out) (i32.const 16)) (local.get $skip)))

  ;; Writes the lines up to each border of the dirty runs from `at` to `end`, which are their first and last bits in turn. Returns the
  ;; address after the lines.
  (func (export "lines") (param $at i32) (param $end i32) (param $out i32) (result i32)
    (local $position i64) (local $limit i64) (local $next i64) (local $length i64) (local $shift i64) (local $isDirty i32)
    (local $high i64) (local $low i32) (local $prefix v128) (local $prefixLength i32)
    (local $v v128) (local $w v128) (local $a i32) (local $b i32) (local $digits i64) (local $zeros i64)
    (local $width i32) (local $kind i32) (local $shown i64) (local $aligned i64)
    (local $before v128) (local $between v128) (local $beforeLength i32) (local $betweenLength i32) (local $kindLength i32)
    (local.set $before (v128.load (i32.const 0)))
    (local.set $between (v128.load offset=16 (i32.const 0)))
    (local.set $position (i64.load offset=128 (i32.const 0)))
    (local.set $limit (i64.load offset=136 (i32.const 0)))
    (local.set $shift (i64.load32_u offset=144 (i32.const 0)))
    (local.set $beforeLength (i32.load offset=148 (i32.const 0)))
    (local.set $betweenLength (i32.load offset=152 (i32.const 0)))
    (local.set $kindLength (i32.load offset=156 (i32.const 0)))
    (local.set $width (i32.load offset=160 (i32.const 0)))
    ;; Zeros before a number of eight digits become spaces, or are shifted out.
    (if (local.get $width)
      (then (local.set $aligned (i64.const 0x1010101010101010)))
      (else (local.set $shown (i64.const 56))))
    (local.set $high (i64.const -1))
    (block $done
      (loop $border
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $next
          (i64.shl (i64.add (i64.load32_u (local.get $at)) (i64.extend_i32_u (local.get $isDirty))) (local.get $shift)))
        (if (i64.gt_u (local.get $next) (local.get $limit)) (then (local.set $next (local.get $limit))))
        (if (i64.gt_u (local.get $next) (local.get $position))
          (then
            (local.set $length (i64.sub (local.get $next) (local.get $position)))
            (local.set $kind (i32.add (i32.const 32) (i32.mul (local.get $isDirty) (i32.const 48))))
            (v128.store (local.get $out) (local.get $before))
            (local.set $out (i32.add (local.get $out) (local.get $beforeLength)))
            (if (i32.and (i64.gt_s (local.get $high) (i64.const 0)) (i64.lt_u (local.get $length) (i64.const 100000000)))
              (then
                ;; The digits of `$digits`: the last eight of the offset, and the length.
                (local.set $a (i32.div_u (local.get $low) (i32.const 10000)))
                (local.set $b (i32.div_u (i32.wrap_i64 (local.get $length)) (i32.const 10000)))
                (local.set $v
                  (i32x4.replace_lane 3
                    (i32x4.replace_lane 2
                      (i32x4.replace_lane 1
                        (i32x4.splat (local.get $a))
                        (i32.sub (local.get $low) (i32.mul (local.get $a) (i32.const 10000))))
                      (local.get $b))
                    (i32.sub (i32.wrap_i64 (local.get $length)) (i32.mul (local.get $b) (i32.const 10000)))))
                (local.set $w (i32x4.shr_u (i32x4.mul (local.get $v) (i32x4.splat (i32.const 5243))) (i32.const 19)))
                (local.set $v (i32x4.sub (i32x4.shl (local.get $v) (i32.const 16)) (i32x4.mul (local.get $w) (i32x4.splat (i32.const 6553599)))))
                (local.set $w (i16x8.shr_u (i16x8.mul (local.get $v) (i16x8.splat (i32.const 103))) (i32.const 10)))
                (local.set $v (i16x8.sub (i16x8.shl (local.get $v) (i32.const 8)) (i16x8.mul (local.get $w) (i16x8.splat (i32.const 2559)))))
                (v128.store (local.get $out) (local.get $prefix))
                (local.set $out (i32.add (local.get $out) (local.get $prefixLength)))
                (i64.store (local.get $out) (i64.or (i64x2.extract_lane 0 (local.get $v)) (i64.const 0x3030303030303030)))
                (v128.store offset=8 (local.get $out) (local.get $between))
                (local.set $out (i32.add (i32.add (local.get $out) (i32.const 8)) (local.get $betweenLength)))
                (local.set $digits (i64x2.extract_lane 1 (local.get $v)))
                (local.set $zeros (i64.and (i64.ctz (local.get $digits)) (i64.const 56)))
                (local.set $digits
                  (i64.sub
                    (i64.or (local.get $digits) (i64.const 0x3030303030303030))
                    (i64.and
                      (local.get $aligned)
                      (i64.sub (i64.shl (i64.const 1) (local.get $zeros)) (i64.const 1)))))
                (local.set $zeros (i64.and (local.get $zeros) (local.get $shown)))
                (if (local.get $width)
                  (then
                    (v128.store (local.get $out) (i8x16.splat (i32.const 0x20)))
                    (local.set $out (i32.sub (i32.add (local.get $out) (local.get $width)) (i32.const 8)))))
                (i64.store (local.get $out) (i64.shr_u (local.get $digits) (local.get $zeros)))
                (local.set $out
                  (i32.add (local.get $out) (i32.sub (i32.const 8) (i32.wrap_i64 (i64.shr_u (local.get $zeros) (i64.const 3))))))
                ;; Only the low part of the next offset changes most often.
                (local.set $low (i32.add (local.get $low) (i32.wrap_i64 (local.get $length))))
                (if (i32.ge_u (local.get $low) (i32.const 100000000)) (then (local.set $high (i64.const -1)))))
              (else
                (local.set $out (call $number (local.get $out) (local.get $position) (local.get $width)))
                (v128.store (local.get $out) (local.get $between))
                (local.set $out
                  (call $number (i32.add (local.get $out) (local.get $betweenLength)) (local.get $length) (local.get $width)))
                (local.set $high (i64.const -1))))
            (local.set $position (local.get $next))
            (if (i64.lt_s (local.get $high) (i64.const 0))
              (then
                (local.set $high (i64.div_u (local.get $position) (i64.const 100000000)))
                (local.set $low (i32.wrap_i64 (i64.rem_u (local.get $position) (i64.const 100000000))))
                (local.set $prefixLength
                  (i32.sub
                    (call $number
                      (i32.const 224)
                      (local.get $high)
                      (select (i32.sub (local.get $width) (i32.const 8)) (i32.const 0) (local.get $width)))
                    (i32.const 224)))
                (local.set $prefix (v128.load offset=224 (i32.const 0)))))
            (v128.store (local.get $out) (v128.load (local.get $kind)))
            (v128.store offset=16 (local.get $out) (v128.load offset=16 (local.get $kind)))
            (v128.store offset=32 (local.get $out) (v128.load offset=32 (local.get $kind)))
            (local.set $out (i32.add (local.get $out) (local.get $kindLength)))))
        (local.set $isDirty (i32.xor (local.get $isDirty) (i32.const 1)))
        (local.set $at (i32.add (local.get $at) (i32.const 4)))
        (br $border)))
    (i64.store offset=128 (i32.const 0) (local.get $position))
    (local.get $out))
)
