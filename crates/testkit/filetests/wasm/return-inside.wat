;; test: wasm
;; Returns and branches to the function from within loops.
(module (func (param i32) (result i32)
  (loop (result i32)
    (if (i32.eq (local.get 0) (i32.const 7)) (then (return (i32.const 1))))
    (br_if 1 (i32.const 2) (i32.eqz (local.get 0)))
    (drop)
    (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
    (br 0))))
; ----
func 0 sig0 (i32) -> (i32) {
  loop l0: b1..b6 depth 1
b0:
  v0: i32 = param
  jump b1(v0)
b1 in l0:
  v2: i32 = param
  v3: i32 = eq.i32 v2, 7:i32
  br_if v3, b2, b3
b2 in l0:
  return 1:i32
b3 in l0:
  v6: i32 = eqz.i32 v2
  br_if v6, b4, b5
b4 in l0:
  return 2:i32
b5 in l0:
  v9: i32 = add.i32 v2, -1:i32
  jump b1(v9)
}
