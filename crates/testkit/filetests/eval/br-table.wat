;; test: eval
;; A table with many entries, each way out.
;; run: f(0:i32)
;; run: f(1:i32)
;; run: f(2:i32)
;; run: f(3:i32)
;; run: f(4:i32)
;; run: f(-1:i32)
(module (func (export "f") (param i32) (result i32)
  (block (result i32)
    (block (result i32)
      (block (result i32)
        (i32.const 100)
        (br_table 0 1 2 0 1 (local.get 0)))
      (return (i32.add (i32.const 1))))
    (i32.mul (i32.const 3)))
  (i32.sub (i32.const 7))))
; ----
f(0:i32): 101:i32
f(1:i32): 293:i32
f(2:i32): 93:i32
f(3:i32): 101:i32
f(4:i32): 293:i32
f(-1:i32): 293:i32
