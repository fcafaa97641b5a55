;; test: eval
;; A 64-bit memory: addresses and offsets that overflow.
;; run: load(0:i64)
;; run: load(65532:i64)
;; run: load(65533:i64)
;; run: load(-1:i64)
;; run: far(0:i64)
;; run: far(-4294967300:i64)
;; run: sizes()
(module (memory 1) (memory i64 1 3)
  (data (memory 1) (i64.const 0) "\01\02\03\04")
  (func (export "load") (param i64) (result i32) (i32.load 1 (local.get 0)))
  (func (export "far") (param i64) (result i32) (i32.load 1 offset=4294967300 (local.get 0)))
  (func (export "sizes") (result i32 i64 i64 i64)
    (memory.size 0) (memory.grow 1 (i64.const 2)) (memory.size 1) (memory.grow 1 (i64.const 1))))
; ----
load(0:i64): 67305985:i32
load(65532:i64): 0:i32
load(65533:i64): trap MemoryOutOfBounds
load(-1:i64): trap MemoryOutOfBounds
far(0:i64): trap MemoryOutOfBounds
far(-4294967300:i64): trap MemoryOutOfBounds
sizes(): 1:i32, 1:i64, 3:i64, -1:i64
