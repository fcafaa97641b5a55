;; test: wasm
;; Lists of many values: homes and copies instead of values and edge arguments.
(module
  (type $many (func (param i32 i32 i32 i32 i32 i32 i32 i32 i32 f64) (result i32 i32 i32 i32 i32 i32 i32 i32 i32 f64)))
  (type $one (func (param i32) (result i32)))
  (func $id (type $many)
    (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4)
    (local.get 5) (local.get 6) (local.get 7) (local.get 8) (local.get 9))
  (func $some (type $many)
    (call $id (local.get 8) (local.get 1) (local.get 1) (local.get 1) (local.get 1)
      (local.get 1) (local.get 1) (local.get 1) (local.get 1) (local.get 9))
    (return_call $id))
  (func $loop (param i32) (result i32 i32 i32 i32 i32 i32 i32 i32 i32 f64)
    (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0)
    (local.get 0) (local.get 0) (local.get 0) (f64.const 1)
    (loop (type $many)
      (f64.const 2)
      (block (param i32 i32 i32 i32 i32 i32 i32 i32 i32 f64 f64) (result f64)
        (drop) (drop) (drop) (drop) (drop) (drop) (drop) (drop) (drop) (drop) (drop) (f64.const 3))
      (drop)
      (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0)
      (local.get 0) (local.get 0) (local.get 0) (local.get 0) (f64.const 1)
      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))
      (br 1))
  )
)
; ----
func 0 sig0 (i32, i32, i32, i32, i32, i32, i32, i32, i32, f64) -> (i32, i32, i32, i32, i32, i32, i32, i32, i32, f64) {
b0:
  v0: i32 = param
  v1: i32 = param
  v2: i32 = param
  v3: i32 = param
  v4: i32 = param
  v5: i32 = param
  v6: i32 = param
  v7: i32 = param
  v8: i32 = param
  v9: f64 = param
  return v0, v1, v2, v3, v4, v5, v6, v7, v8, v9
}
func 1 sig0 (i32, i32, i32, i32, i32, i32, i32, i32, i32, f64) -> (i32, i32, i32, i32, i32, i32, i32, i32, i32, f64) {
  depth 160
  homes 10
b0:
  v0: i32 = param 8
  v1: i32 = param
  v2: f64 = param 9
  call f0 sig0(v0, v1, v1, v1, v1, v1, v1, v1, v1, v2)
  home_take h0, 10
  return_call f0 sig0()
}
func 2 sig2 (i32) -> (i32, i32, i32, i32, i32, i32, i32, i32, i32, f64) {
  homes 11
  loop l0: b1..b4 depth 1
b0:
  v0: i32 = param
  home_store.i32 h0, v0
  home_store.i32 h1, v0
  home_store.i32 h2, v0
  home_store.i32 h3, v0
  home_store.i32 h4, v0
  home_store.i32 h5, v0
  home_store.i32 h6, v0
  home_store.i32 h7, v0
  home_store.i32 h8, v0
  home_store.f64 h9, 1.0:f64
  jump b1(v0)
b1 in l0:
  v12: i32 = param
  home_store.f64 h10, 2.0:f64
  v14: i32 = add.i32 v12, -1:i32
  home_store.i32 h0, v12
  home_store.i32 h1, v12
  home_store.i32 h2, v12
  home_store.i32 h3, v12
  home_store.i32 h4, v12
  home_store.i32 h5, v12
  home_store.i32 h6, v12
  home_store.i32 h7, v12
  home_store.i32 h8, v12
  home_store.i32 h9, v12
  home_store.f64 h10, 1.0:f64
  br_if v14, b2, b3
b2 in l0:
  home_move h0, h1, 10
  jump b1(v14)
b3 in l0:
  home_pass h1, 10
  return
}
