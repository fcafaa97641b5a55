;; test: wasm
;; Loads are shared across a path that writes nothing; where one path wrote, they are not.
(module (memory 1) (func (param i32 i32) (result i32) (local i32)
  (local.set 2 (i32.load (local.get 0)))
  (if (local.get 1) (then (local.set 2 (i32.add (local.get 2) (i32.load (local.get 0))))))
  (local.set 2 (i32.add (local.get 2) (i32.load (local.get 0))))
  (if (local.get 1) (then (i32.store offset=4 (local.get 0) (i32.const 1))))
  (i32.add (local.get 2) (i32.load (local.get 0)))))
; ----
func 0 sig0 (i32, i32) -> (i32) {
b0:
  v0: i32 = param
  v1: i32 = param
  v2: i32 = load.i32 m0[v0 + 0]
  br_if v1, b1, b2(v2)
b1:
  v4: i32 = add.i32 v2, v2
  jump b2(v4)
b2:
  v6: i32 = param
  v7: i32 = add.i32 v2, v6
  br_if v1, b3, b4
b3:
  store.i32 m0[v0 + 4], 1:i32
  jump b4
b4:
  v11: i32 = load.i32 m0[v0 + 0]
  v12: i32 = add.i32 v7, v11
  return v12
}
