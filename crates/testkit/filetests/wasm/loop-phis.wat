;; test: wasm
;; A loop has a parameter for each local that it writes, and for no other.
(module (func (param i32) (result i64) (local i64 i64 i64 i64)
  (local.set 2 (i64.const 1))
  (local.set 4 (i64.const 10))
  (loop
    (local.set 3 (i64.add (local.get 1) (local.get 2)))
    (local.set 1 (local.get 2))
    (local.set 2 (i64.add (local.get 3) (local.get 4)))
    (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
  (local.get 1)))
; ----
func 0 sig0 (i32) -> (i64) {
  loop l0: b1..b2 depth 1
b0:
  v0: i32 = param
  jump b1(v0, 1:i64, 0:i64, 0:i64)
b1 in l0:
  v2: i32 = param
  v3: i64 = param
  v4: i64 = param
  v5: i64 = param
  v6: i64 = add.i64 v3, v4
  v7: i64 = add.i64 v6, 10:i64
  v8: i32 = add.i32 v2, -1:i32
  br_if v8, b1(v8, v7, v3, v6), b2
b2:
  return v3
}
