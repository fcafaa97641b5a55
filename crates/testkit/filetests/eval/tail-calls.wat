;; test: eval
;; A hundred thousand tail calls run in constant stack.
;; run: even(100000:i32)
;; run: odd(100001:i32)
(module
  (type $t (func (param i32) (result i32)))
  (table funcref (elem $even $odd))
  (func $even (export "even") (type $t)
    (if (i32.eqz (local.get 0)) (then (return (i32.const 1))))
    (return_call $odd (i32.sub (local.get 0) (i32.const 1))))
  (func $odd (export "odd") (type $t)
    (if (i32.eqz (local.get 0)) (then (return (i32.const 0))))
    (return_call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0))))
; ----
even(100000:i32): 1:i32
odd(100001:i32): 1:i32
