;; test: eval
;; Recursion and a loop.
;; run: fib(0:i32)
;; run: fib(1:i32)
;; run: fib(20:i32)
;; run: loop(90:i32)
(module
  (func $fib (export "fib") (param i32) (result i32)
    (if (result i32) (i32.lt_u (local.get 0) (i32.const 2)) (then (local.get 0))
      (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                     (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
  (func (export "loop") (param i32) (result i64) (local i64 i64 i64)
    (local.set 2 (i64.const 1))
    (loop
      (local.set 3 (i64.add (local.get 1) (local.get 2)))
      (local.set 1 (local.get 2)) (local.set 2 (local.get 3))
      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get 1)))
; ----
fib(0:i32): 0:i32
fib(1:i32): 1:i32
fib(20:i32): 6765:i32
loop(90:i32): 2880067194370816120:i64
