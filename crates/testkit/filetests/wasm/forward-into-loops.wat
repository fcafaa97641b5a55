;; test: wasm
;; A loop that stores forgets loads at its header, one that does not keeps them.
(module (memory 1)
  (func (param i32 i32) (result i32) (local i32)
    (local.set 2 (i32.load (local.get 0)))
    (loop
      (local.set 2 (i32.add (local.get 2) (i32.load (local.get 0))))
      (br_if 0 (local.tee 1 (i32.sub (local.get 1) (i32.const 1)))))
    (local.get 2))
  (func (param i32 i32) (result i32) (local i32)
    (local.set 2 (i32.load (local.get 0)))
    (loop
      (local.set 2 (i32.add (local.get 2) (i32.load (local.get 0))))
      (i32.store (local.get 1) (local.get 2))
      (br_if 0 (local.tee 1 (i32.sub (local.get 1) (i32.const 4)))))
    (local.get 2)))
; ----
func 0 sig0 (i32, i32) -> (i32) {
  loop l0: b1..b2 depth 1
b0:
  v0: i32 = param
  v1: i32 = param
  v2: i32 = load.i32 m0[v0 + 0]
  jump b1(v1, v2)
b1 in l0:
  v4: i32 = param
  v5: i32 = param
  v6: i32 = add.i32 v2, v5
  v7: i32 = add.i32 v4, -1:i32
  br_if v7, b1(v7, v6), b2
b2:
  return v6
}
func 1 sig0 (i32, i32) -> (i32) {
  loop l0: b1..b2 depth 1 store
b0:
  v0: i32 = param
  v1: i32 = param
  v2: i32 = load.i32 m0[v0 + 0]
  jump b1(v1, v2)
b1 in l0:
  v4: i32 = param
  v5: i32 = param
  v6: i32 = load.i32 m0[v0 + 0]
  v7: i32 = add.i32 v5, v6
  store.i32 m0[v4 + 0], v7
  v9: i32 = add.i32 v4, -4:i32
  br_if v9, b1(v9, v7), b2
b2:
  return v7
}
