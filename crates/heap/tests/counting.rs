//! What is counted, in a program where nothing else allocates meanwhile.

use runwell_heap::{blocks, now, peak};

#[global_allocator]
static ALLOCATOR: runwell_heap::Counting = runwell_heap::Counting;

#[test]
fn blocks_and_bytes_come_and_go() {
    let (bytes, count) = (now(), blocks());
    let list = vec![0u8; 10_000];
    assert_eq!((now() - bytes, blocks() - count), (10_000, 1));
    let (list, most) = peak(|| {
        drop(vec![1u8; 3000]);
        let mut list = list;
        list.reserve_exact(20_000);
        list
    });
    // A block that grows is counted with its new size alone.
    assert_eq!(most, 20_000);
    drop(list);
    assert_eq!((now(), blocks()), (bytes, count));
}
