;; test: eval
;; Division, remainders, shifts and rotations at their edges.
;; run: div_s(7:i32, -2:i32)
;; run: div_s(-2147483648:i32, -1:i32)
;; run: div_s(1:i32, 0:i32)
;; run: rem_s(-7:i32, 2:i32)
;; run: rem_s(-2147483648:i32, -1:i32)
;; run: rem_s(5:i32, 0:i32)
;; run: div_u64(-1:i64, 2:i64)
;; run: div_u64(1:i64, 0:i64)
;; run: div_s64(-9223372036854775808:i64, -1:i64)
;; run: shifts(-8:i32, 33:i32)
;; run: shifts(1:i32, 31:i32)
;; run: shifts(-1:i32, 0:i32)
;; run: shifts64(-8:i64, 65:i64)
;; run: shifts64(1:i64, 63:i64)
;; run: count(0:i32)
;; run: count(0x80000001:i32)
;; run: extend(0x80:i32)
;; run: extend(0x8000:i32)
(module
  (func (export "div_s") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func (export "rem_s") (param i32 i32) (result i32) (i32.rem_s (local.get 0) (local.get 1)))
  (func (export "div_u64") (param i64 i64) (result i64) (i64.div_u (local.get 0) (local.get 1)))
  (func (export "div_s64") (param i64 i64) (result i64) (i64.div_s (local.get 0) (local.get 1)))
  (func (export "shifts") (param i32 i32) (result i32 i32 i32 i32 i32)
    (i32.shl (local.get 0) (local.get 1)) (i32.shr_s (local.get 0) (local.get 1)) (i32.shr_u (local.get 0) (local.get 1))
    (i32.rotl (local.get 0) (local.get 1)) (i32.rotr (local.get 0) (local.get 1)))
  (func (export "shifts64") (param i64 i64) (result i64 i64 i64 i64 i64)
    (i64.shl (local.get 0) (local.get 1)) (i64.shr_s (local.get 0) (local.get 1)) (i64.shr_u (local.get 0) (local.get 1))
    (i64.rotl (local.get 0) (local.get 1)) (i64.rotr (local.get 0) (local.get 1)))
  (func (export "count") (param i32) (result i32 i32 i32)
    (i32.clz (local.get 0)) (i32.ctz (local.get 0)) (i32.popcnt (local.get 0)))
  (func (export "extend") (param i32) (result i32 i32 i64 i64)
    (i32.extend8_s (local.get 0)) (i32.extend16_s (local.get 0))
    (i64.extend8_s (i64.extend_i32_u (local.get 0))) (i64.extend32_s (i64.extend_i32_s (local.get 0)))))
; ----
div_s(7:i32, -2:i32): -3:i32
div_s(-2147483648:i32, -1:i32): trap IntegerOverflow
div_s(1:i32, 0:i32): trap IntegerDivisionByZero
rem_s(-7:i32, 2:i32): -1:i32
rem_s(-2147483648:i32, -1:i32): 0:i32
rem_s(5:i32, 0:i32): trap IntegerDivisionByZero
div_u64(-1:i64, 2:i64): 9223372036854775807:i64
div_u64(1:i64, 0:i64): trap IntegerDivisionByZero
div_s64(-9223372036854775808:i64, -1:i64): trap IntegerOverflow
shifts(-8:i32, 33:i32): -16:i32, -4:i32, 2147483644:i32, -15:i32, 2147483644:i32
shifts(1:i32, 31:i32): -2147483648:i32, 0:i32, 0:i32, -2147483648:i32, 2:i32
shifts(-1:i32, 0:i32): -1:i32, -1:i32, -1:i32, -1:i32, -1:i32
shifts64(-8:i64, 65:i64): -16:i64, -4:i64, 9223372036854775804:i64, -15:i64, 9223372036854775804:i64
shifts64(1:i64, 63:i64): -9223372036854775808:i64, 0:i64, 0:i64, -9223372036854775808:i64, 2:i64
count(0:i32): 32:i32, 32:i32, 0:i32
count(0x80000001:i32): 0:i32, 0:i32, 2:i32
extend(0x80:i32): -128:i32, 128:i32, -128:i64, 128:i64
extend(0x8000:i32): 0:i32, -32768:i32, 0:i64, 32768:i64
