;; test: eval
;; More results than registers.
;; run: f(1:i32)
(module
  (func $g (param i32) (result i32 i64 f32 f64 i32 i32 i32 i32 i64 i64 i64 f64 f64 f64 f64 f64 f64)
    (local.get 0) (i64.const 2) (f32.const 3) (f64.const 4) (i32.const 5) (i32.const 6) (i32.const 7) (i32.const 8)
    (i64.const 9) (i64.const 10) (i64.const 11) (f64.const 12) (f64.const 13) (f64.const 14) (f64.const 15) (f64.const 16) (f64.const 17))
  (func (export "f") (param i32) (result i32 i64 f32 f64 i32 i32 i32 i32 i64 i64 i64 f64 f64 f64 f64 f64 f64)
    (call $g (local.get 0))))
; ----
f(1:i32): 1:i32, 2:i64, 3.0:f32, 4.0:f64, 5:i32, 6:i32, 7:i32, 8:i32, 9:i64, 10:i64, 11:i64, 12.0:f64, 13.0:f64, 14.0:f64, 15.0:f64, 16.0:f64, 17.0:f64
