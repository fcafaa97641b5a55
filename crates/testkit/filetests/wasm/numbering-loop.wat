;; test: wasm
;; A loop finds what is made before it.
(module (func (param i32 i32) (result i32) (local i32 i32)
  (local.set 2 (i32.shl (local.get 1) (i32.const 2)))
  (loop
    (local.set 3 (i32.add (local.get 3) (i32.shl (local.get 1) (i32.const 2))))
    (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
  (i32.add (local.get 2) (local.get 3))))
; ----
func 0 sig0 (i32, i32) -> (i32) {
  loop l0: b1..b2 depth 1
b0:
  v0: i32 = param
  v1: i32 = param
  v2: i32 = shl.i32 v1, 2:i32
  jump b1(v0, 0:i32)
b1 in l0:
  v4: i32 = param
  v5: i32 = param
  v6: i32 = add.i32 v2, v5
  v7: i32 = add.i32 v4, -1:i32
  br_if v7, b1(v7, v6), b2
b2:
  v9: i32 = add.i32 v2, v6
  return v9
}
