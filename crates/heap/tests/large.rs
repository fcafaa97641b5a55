//! Blocks on large pages keep their content through growth, like any others.

#[global_allocator]
static ALLOCATOR: runwell_heap::LargePages = runwell_heap::LargePages;

#[test]
fn content_survives_growing_and_shrinking() {
    let mut list: Vec<u32> = Vec::new();
    for i in 0..6_000_000 {
        list.push(i);
    }
    assert!(list.iter().copied().eq(0..6_000_000));
    list.truncate(2_000_000);
    list.shrink_to_fit();
    assert!(list.iter().copied().eq(0..2_000_000));
    let zeros = vec![0u8; 9 << 20];
    assert!(zeros.iter().all(|&byte| byte == 0));
}
