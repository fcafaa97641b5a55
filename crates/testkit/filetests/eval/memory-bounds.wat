;; test: eval
;; Accesses at the end of a memory; one that straddles it writes nothing.
;; run: put(65528:i32, 0x80ffeeddccbbaa99:i64)
;; run: get(65528:i32)
;; run: get(65532:i32)
;; run: get(65533:i32)
;; run: get(-1:i32)
;; run: far(0:i32)
;; run: far(-1:i32)
;; run: put(65529:i32, 0:i64)
;; run: get(65528:i32)
;; run: put8(65535:i32, 0x17f:i64)
;; run: signed(65532:i32)
;; run: signed(65533:i32)
;; run: fill(65530:i32, 1:i32, 7:i32)
;; run: fill(65530:i32, 1:i32, 6:i32)
;; run: fill(65536:i32, 1:i32, 0:i32)
;; run: fill(65537:i32, 1:i32, 0:i32)
;; run: put(0:i32, 0x0807060504030201:i64)
;; run: copy(2:i32, 0:i32, 8:i32)
;; run: get(2:i32)
;; run: get(6:i32)
;; run: copy(65530:i32, 0:i32, 7:i32)
;; run: grow(1:i32)
;; run: get(65536:i32)
;; run: grow(1:i32)
;; run: grow(-1:i32)
(module (memory 1 2)
  (func (export "get") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "far") (param i32) (result i64) (i64.load offset=0xfffffff8 (local.get 0)))
  (func (export "put") (param i32 i64) (i64.store (local.get 0) (local.get 1)))
  (func (export "put8") (param i32 i64) (i64.store8 (local.get 0) (local.get 1)))
  (func (export "signed") (param i32) (result i32 i64 i64)
    (i32.load8_s (local.get 0)) (i64.load16_s (local.get 0)) (i64.load32_u (local.get 0)))
  (func (export "fill") (param i32 i32 i32) (memory.fill (local.get 0) (local.get 1) (local.get 2)))
  (func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
  (func (export "grow") (param i32) (result i32 i32) (memory.grow (local.get 0)) (memory.size)))
; ----
put(65528:i32, 0x80ffeeddccbbaa99:i64):
get(65528:i32): -860116327:i32
get(65532:i32): -2130710819:i32
get(65533:i32): trap MemoryOutOfBounds
get(-1:i32): trap MemoryOutOfBounds
far(0:i32): trap MemoryOutOfBounds
far(-1:i32): trap MemoryOutOfBounds
put(65529:i32, 0:i64): trap MemoryOutOfBounds
get(65528:i32): -860116327:i32
put8(65535:i32, 0x17f:i64):
signed(65532:i32): -35:i32, -4387:i64, 2147479261:i64
signed(65533:i32): trap MemoryOutOfBounds
fill(65530:i32, 1:i32, 7:i32): trap MemoryOutOfBounds
fill(65530:i32, 1:i32, 6:i32):
fill(65536:i32, 1:i32, 0:i32):
fill(65537:i32, 1:i32, 0:i32): trap MemoryOutOfBounds
put(0:i32, 0x0807060504030201:i64):
copy(2:i32, 0:i32, 8:i32):
get(2:i32): 67305985:i32
get(6:i32): 134678021:i32
copy(65530:i32, 0:i32, 7:i32): trap MemoryOutOfBounds
grow(1:i32): 1:i32, 2:i32
get(65536:i32): 0:i32
grow(1:i32): -1:i32, 2:i32
grow(-1:i32): -1:i32, 2:i32
