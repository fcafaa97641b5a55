;; test: asm
;; The smallest function that does something.
(module (func (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
; ----
func 0:
03 fe 8b c7 c3
