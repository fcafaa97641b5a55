;; test: eval
;; Conversions between floats and integers at their edges.
;; run: trunc(2147483647.9:f64)
;; run: trunc(2147483648.0:f64)
;; run: trunc(-2147483648.9:f64)
;; run: trunc(-2147483649.0:f64)
;; run: trunc(0x7ff8000000000000:f64)
;; run: trunc_u(-0.9:f64)
;; run: trunc_u(-1.0:f64)
;; run: trunc_u(4294967295.9:f64)
;; run: trunc_u(4294967296.0:f64)
;; run: trunc64(9223372036854774784.0:f64)
;; run: trunc64(9223372036854775808.0:f64)
;; run: trunc64_u(18446744073709549568.0:f64)
;; run: trunc64_u(18446744073709551616.0:f64)
;; run: sat(0x7ff8000000000000:f64)
;; run: sat(1e300:f64)
;; run: sat(-1e300:f64)
;; run: sat(-0.5:f64)
;; run: to_float(-1:i64)
;; run: to_float(9007199254740993:i64)
;; run: to_float(16777217:i64)
;; run: demote(1e40:f64)
;; run: demote(1e-46:f64)
;; run: demote(0x7ff0000000000001:f64)
(module
  (func (export "trunc") (param f64) (result i32) (i32.trunc_f64_s (local.get 0)))
  (func (export "trunc_u") (param f64) (result i32) (i32.trunc_f64_u (local.get 0)))
  (func (export "trunc64") (param f64) (result i64) (i64.trunc_f64_s (local.get 0)))
  (func (export "trunc64_u") (param f64) (result i64) (i64.trunc_f64_u (local.get 0)))
  (func (export "sat") (param f64) (result i32 i32 i64 i64)
    (i32.trunc_sat_f64_s (local.get 0)) (i32.trunc_sat_f64_u (local.get 0))
    (i64.trunc_sat_f64_s (local.get 0)) (i64.trunc_sat_f64_u (local.get 0)))
  (func (export "to_float") (param i64) (result f32 f32 f64 f64)
    (f32.convert_i64_s (local.get 0)) (f32.convert_i64_u (local.get 0))
    (f64.convert_i64_s (local.get 0)) (f64.convert_i64_u (local.get 0)))
  (func (export "demote") (param f64) (result f32 f64)
    (f32.demote_f64 (local.get 0)) (f64.promote_f32 (f32.demote_f64 (local.get 0)))))
; ----
trunc(2147483647.9:f64): 2147483647:i32
trunc(2147483648.0:f64): trap IntegerOverflow
trunc(-2147483648.9:f64): -2147483648:i32
trunc(-2147483649.0:f64): trap IntegerOverflow
trunc(0x7ff8000000000000:f64): trap BadConversionToInteger
trunc_u(-0.9:f64): 0:i32
trunc_u(-1.0:f64): trap IntegerOverflow
trunc_u(4294967295.9:f64): -1:i32
trunc_u(4294967296.0:f64): trap IntegerOverflow
trunc64(9223372036854774784.0:f64): 9223372036854774784:i64
trunc64(9223372036854775808.0:f64): trap IntegerOverflow
trunc64_u(18446744073709549568.0:f64): -2048:i64
trunc64_u(18446744073709551616.0:f64): trap IntegerOverflow
sat(0x7ff8000000000000:f64): 0:i32, 0:i32, 0:i64, 0:i64
sat(1e300:f64): 2147483647:i32, -1:i32, 9223372036854775807:i64, -1:i64
sat(-1e300:f64): -2147483648:i32, 0:i32, -9223372036854775808:i64, 0:i64
sat(-0.5:f64): 0:i32, 0:i32, 0:i64, 0:i64
to_float(-1:i64): -1.0:f32, 1.8446744e19:f32, -1.0:f64, 1.8446744073709552e19:f64
to_float(9007199254740993:i64): 9007199000000000.0:f32, 9007199000000000.0:f32, 9007199254740992.0:f64, 9007199254740992.0:f64
to_float(16777217:i64): 16777216.0:f32, 16777216.0:f32, 16777217.0:f64, 16777217.0:f64
demote(1e40:f64): 0x7f800000:f32, 0x7ff0000000000000:f64
demote(1e-46:f64): 0.0:f32, 0.0:f64
demote(0x7ff0000000000001:f64): 0x7fc00000:f32, 0x7ff8000000000000:f64
