;; test: eval
;; Calls through a table: the right type, another type, null, outside.
;; run: call(0:i32)
;; run: call(1:i32)
;; run: call(2:i32)
;; run: call(3:i32)
;; run: call(-1:i32)
(module
  (type $t (func (param i32) (result i32)))
  (table 3 3 funcref)
  (elem (i32.const 0) $double $other)
  (func $double (type $t) (i32.shl (local.get 0) (i32.const 1)))
  (func $other (result i32) (i32.const 5))
  (func (export "call") (param i32) (result i32)
    (call_indirect (type $t) (i32.const 21) (local.get 0))))
; ----
call(0:i32): 42:i32
call(1:i32): trap BadSignature
call(2:i32): trap IndirectCallToNull
call(3:i32): trap TableOutOfBounds
call(-1:i32): trap TableOutOfBounds
