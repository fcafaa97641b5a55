;; Prints the Mandelbrot set, 100 characters by 40: a WASI program written by hand.
;;
;;     runwell examples/mandelbrot.wat
;;
;; Memory: the vector for fd_write at 0, the palette from 16, the picture from 1024.
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param $fd i32) (param $vectors i32) (param $count i32) (param $written i32)
      (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param $code i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) " .,:;=+*oaO8%@#")
  (global $columns i32 (i32.const 100))
  (global $rows i32 (i32.const 40))
  (global $limit i32 (i32.const 500))

  ;; How many steps the point (cr, ci) takes to leave the circle of radius 2, up to the limit.
  (func $escape (param $cr f64) (param $ci f64) (result i32)
    (local $zr f64) (local $zi f64) (local $rr f64) (local $ii f64) (local $steps i32)
    (loop $step
      (local.set $zi
        (f64.add (f64.mul (f64.add (local.get $zr) (local.get $zr)) (local.get $zi)) (local.get $ci)))
      (local.set $zr (f64.add (f64.sub (local.get $rr) (local.get $ii)) (local.get $cr)))
      (local.set $rr (f64.mul (local.get $zr) (local.get $zr)))
      (local.set $ii (f64.mul (local.get $zi) (local.get $zi)))
      (local.set $steps (i32.add (local.get $steps) (i32.const 1)))
      (br_if $step
        (i32.and
          (i32.lt_u (local.get $steps) (global.get $limit))
          (f64.le (f64.add (local.get $rr) (local.get $ii)) (f64.const 4)))))
    (local.get $steps))

  ;; The character for a number of steps: the last one inside the set, the others in turn by the
  ;; number of times that the count can be halved.
  (func $shade (param $steps i32) (result i32)
    (local $index i32)
    (if (i32.ge_u (local.get $steps) (global.get $limit))
      (then (return (i32.load8_u offset=16 (i32.const 14)))))
    (local.set $index
      (i32.add
        (i32.shl (i32.sub (i32.const 31) (i32.clz (local.get $steps))) (i32.const 1))
        ;; The bit below the highest one: two shades for each doubling.
        (i32.and
          (i32.shr_u
            (local.get $steps)
            (select
              (i32.sub (i32.const 30) (i32.clz (local.get $steps)))
              (i32.const 31)
              (i32.gt_u (local.get $steps) (i32.const 1))))
          (i32.const 1))))
    (if (i32.gt_u (local.get $index) (i32.const 13))
      (then (local.set $index (i32.const 13))))
    (i32.load8_u offset=16 (local.get $index)))

  (func (export "_start")
    (local $row i32) (local $column i32) (local $at i32) (local $error i32)
    (local.set $at (i32.const 1024))
    (loop $rows
      (local.set $column (i32.const 0))
      (loop $columns
        (i32.store8 (local.get $at)
          (call $shade
            (call $escape
              (f64.sub
                (f64.div
                  (f64.mul (f64.convert_i32_u (local.get $column)) (f64.const 3.2))
                  (f64.convert_i32_u (global.get $columns)))
                (f64.const 2.3))
              (f64.sub
                (f64.div
                  (f64.mul (f64.convert_i32_u (local.get $row)) (f64.const 2.5))
                  (f64.convert_i32_u (i32.sub (global.get $rows) (i32.const 1))))
                (f64.const 1.25)))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (local.set $column (i32.add (local.get $column) (i32.const 1)))
        (br_if $columns (i32.lt_u (local.get $column) (global.get $columns))))
      (i32.store8 (local.get $at) (i32.const 10))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (local.set $row (i32.add (local.get $row) (i32.const 1)))
      (br_if $rows (i32.lt_u (local.get $row) (global.get $rows))))
    (i32.store (i32.const 0) (i32.const 1024))
    (i32.store (i32.const 4) (i32.sub (local.get $at) (i32.const 1024)))
    (local.set $error (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (if (local.get $error) (then (call $proc_exit (local.get $error))))))
