;; test: eval
;; Effects before a trap stay, those after it do not happen.
;; run: f(0:i32)
;; run: g()
;; run: f(4:i32)
;; run: g()
(module (memory 1) (global $n (mut i32) (i32.const 0))
  (func (export "f") (param i32) (result i32)
    (global.set $n (i32.add (global.get $n) (i32.const 1)))
    (i32.store (i32.const 0) (i32.const 1))
    (i32.store (i32.const 8) (i32.div_u (i32.const 100) (local.get 0)))
    (global.set $n (i32.add (global.get $n) (i32.const 10)))
    (i32.load (i32.const 8)))
  (func (export "g") (result i32 i32 i32) (global.get $n) (i32.load (i32.const 0)) (i32.load (i32.const 8))))
; ----
f(0:i32): trap IntegerDivisionByZero
g(): 1:i32, 1:i32, 0:i32
f(4:i32): 25:i32
g(): 12:i32, 1:i32, 25:i32
