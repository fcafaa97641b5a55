;; test: wasm
;; A parameter that turns out to carry the same value is a copy that nobody names.
(module (func (param i32 i32) (result i32)
  (loop
    (if (i32.eqz (local.get 0)) (then (unreachable) (local.set 1 (i32.const 4))))
    (if (local.get 1) (then (local.set 1 (local.get 1))))
    (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
  (local.get 1)))
; ----
func 0 sig0 (i32, i32) -> (i32) {
  loop l0: b1..b6 depth 1
b0:
  v0: i32 = param
  v1: i32 = param
  jump b1(v0, v1)
b1 in l0:
  v3: i32 = param
  v4: i32 = copy.i32 v1
  v5: i32 = eqz.i32 v3
  br_if v5, b2, b3
b2 in l0 cold:
  trap Unreachable
b3 in l0:
  br_if v1, b4, b5
b4 in l0:
  jump b5
b5 in l0:
  v10: i32 = add.i32 v3, -1:i32
  br_if v10, b1(v10, v1), b6
b6:
  return v1
}
