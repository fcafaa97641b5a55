;; test: eval
;; Minimum, maximum, rounding and signs.
;; run: minmax(0.0:f64, -0.0:f64)
;; run: minmax(-0.0:f64, 0.0:f64)
;; run: minmax(1.0:f64, 0x7ff8000000000000:f64)
;; run: minmax(0xfff8000000000001:f64, 1.0:f64)
;; run: minmax(-1.5:f64, 2.0:f64)
;; run: minmax(0x7ff0000000000000:f64, 0xfff0000000000000:f64)
;; run: round(2.5:f32)
;; run: round(3.5:f32)
;; run: round(-0.4:f32)
;; run: round(-2.5:f32)
;; run: round(8388608.5:f32)
;; run: round(0x7f800000:f32)
;; run: round(0x7fa00000:f32)
;; run: signs(1.5:f64, -0.0:f64)
;; run: signs(0x7ff0000000000001:f64, 0xfff8000000000000:f64)
;; run: nans(0.0:f64)
;; run: nans(0x7ff0000000000000:f64)
(module
  (func (export "minmax") (param f64 f64) (result f64 f64 i32 i32 i32)
    (f64.min (local.get 0) (local.get 1)) (f64.max (local.get 0) (local.get 1))
    (f64.lt (local.get 0) (local.get 1)) (f64.ne (local.get 0) (local.get 1)) (f64.ge (local.get 0) (local.get 1)))
  (func (export "round") (param f32) (result f32 f32 f32 f32)
    (f32.nearest (local.get 0)) (f32.trunc (local.get 0)) (f32.ceil (local.get 0)) (f32.floor (local.get 0)))
  (func (export "signs") (param f64 f64) (result f64 f64 f64)
    (f64.neg (local.get 0)) (f64.abs (local.get 0)) (f64.copysign (local.get 0) (local.get 1)))
  (func (export "nans") (param f64) (result i64 i64 i64)
    (i64.reinterpret_f64 (f64.mul (local.get 0) (f64.const inf)))
    (i64.reinterpret_f64 (f64.sqrt (f64.sub (f64.const -1) (local.get 0))))
    (i64.reinterpret_f64 (f64.sub (local.get 0) (local.get 0)))))
; ----
minmax(0.0:f64, -0.0:f64): -0.0:f64, 0.0:f64, 0:i32, 0:i32, 1:i32
minmax(-0.0:f64, 0.0:f64): -0.0:f64, 0.0:f64, 0:i32, 0:i32, 1:i32
minmax(1.0:f64, 0x7ff8000000000000:f64): 0x7ff8000000000000:f64, 0x7ff8000000000000:f64, 0:i32, 1:i32, 0:i32
minmax(0xfff8000000000001:f64, 1.0:f64): 0x7ff8000000000000:f64, 0x7ff8000000000000:f64, 0:i32, 1:i32, 0:i32
minmax(-1.5:f64, 2.0:f64): -1.5:f64, 2.0:f64, 1:i32, 1:i32, 0:i32
minmax(0x7ff0000000000000:f64, 0xfff0000000000000:f64): 0xfff0000000000000:f64, 0x7ff0000000000000:f64, 0:i32, 1:i32, 1:i32
round(2.5:f32): 2.0:f32, 2.0:f32, 3.0:f32, 2.0:f32
round(3.5:f32): 4.0:f32, 3.0:f32, 4.0:f32, 3.0:f32
round(-0.4:f32): -0.0:f32, -0.0:f32, -0.0:f32, -1.0:f32
round(-2.5:f32): -2.0:f32, -2.0:f32, -2.0:f32, -3.0:f32
round(8388608.5:f32): 8388608.0:f32, 8388608.0:f32, 8388608.0:f32, 8388608.0:f32
round(0x7f800000:f32): 0x7f800000:f32, 0x7f800000:f32, 0x7f800000:f32, 0x7f800000:f32
round(0x7fa00000:f32): 0x7fc00000:f32, 0x7fc00000:f32, 0x7fc00000:f32, 0x7fc00000:f32
signs(1.5:f64, -0.0:f64): -1.5:f64, 1.5:f64, -1.5:f64
signs(0x7ff0000000000001:f64, 0xfff8000000000000:f64): 0xfff0000000000001:f64, 0x7ff0000000000001:f64, 0xfff0000000000001:f64
nans(0.0:f64): 9221120237041090560:i64, 9221120237041090560:i64, 0:i64
nans(0x7ff0000000000000:f64): 9218868437227405312:i64, 9221120237041090560:i64, 9221120237041090560:i64
