;; test: wasm
;; Tables: elements, sizes, helpers.
(module (table 10 funcref) (table i64 5 20 externref)
  (elem declare func 0)
  (func (param i32 i64 externref) (result i32 i64)
    (table.set 0 (local.get 0) (ref.func 0))
    (table.set 1 (local.get 1) (local.get 2))
    (table.fill 1 (i64.const 0) (table.get 1 (local.get 1)) (i64.const 2))
    (drop (table.grow 0 (ref.null func) (i32.const 1)))
    (ref.is_null (table.get 0 (local.get 0)))
    (table.size 1)))
; ----
func 0 sig0 (i32, i64, anyref) -> (i32, i64) {
b0:
  v0: i32 = param
  v1: i64 = param
  v2: anyref = param
  v3: funcref = ref_func f0
  table_set.funcref t0, v0, v3
  table_set.anyref t1, v1, v2
  libcall table_fill(1:i64, 0:i64, v2, 2:i64)
  v7: i32 = libcall table_grow(0:i64, null:funcref, 1:i32)
  v8: funcref = table_get.funcref t0, v0
  v9: i32 = eqz.funcref v8
  v10: i64 = table_size t1
  return v9, v10
}
