//! Scratch arrays that are used for one function after the other.
//!
//! They grow to the size of the largest function and stay. When one has to grow, what it held is of no
//! use any more, so unlike `Vec`'s own growing these copy nothing into the new memory: in small modules
//! the first touch of a page costs more than the work that is done on it.

/// Empties `vec` and sees to it that `len` elements fit.
pub fn room<T>(vec: &mut Vec<T>, len: usize) {
    vec.clear();
    if vec.capacity() < len {
        *vec = Vec::with_capacity(len);
    }
}

/// Bytes of memory that `vec` has, whether it uses them or not.
pub fn held<T>(vec: &Vec<T>) -> usize {
    vec.capacity() * size_of::<T>()
}

/// Makes `vec` `len` times `value`.
pub fn fill<T: Copy>(vec: &mut Vec<T>, len: usize, value: T) {
    room(vec, len);
    vec.resize(len, value);
}

/// Elements from which on unused room counts: functions that large are few, and there the memory is
/// worth more than the time to ask for it again.
pub const LARGE: usize = 1 << 13;

/// Appends to a list that grows with its input: a large one by a quarter at a time, so that there is never
/// much more memory than elements.
#[inline]
pub fn push<T>(vec: &mut Vec<T>, value: T) {
    if vec.len() == vec.capacity() {
        grow(vec);
    }
    vec.push(value);
}

#[cold]
fn grow<T>(vec: &mut Vec<T>) {
    if vec.len() >= LARGE {
        vec.reserve_exact(vec.len() / 4);
    }
}

/// Appends several, as [`push`].
#[inline]
pub fn extend<T>(vec: &mut Vec<T>, values: impl ExactSizeIterator<Item = T>) {
    if vec.capacity() - vec.len() < values.len() {
        grow(vec);
    }
    vec.extend(values);
}

/// Gives back the room behind the elements of a large `vec`, when it is more than an eighth of them.
pub fn trim<T>(vec: &mut Vec<T>) {
    let len = vec.len();
    if len >= LARGE && vec.capacity() - len > len / 8 {
        vec.shrink_to_fit();
    }
}

/// Drops the elements of a large `vec` from number `len` on, and gives back their memory.
pub fn cut<T>(vec: &mut Vec<T>, len: usize) {
    vec.truncate(len);
    vec.shrink_to_fit();
}

/// Empties `vec`, whose elements nobody needs any more; gives back its memory if they are many.
pub fn release<T>(vec: &mut Vec<T>) {
    if vec.len() >= LARGE {
        *vec = Vec::new();
    }
    vec.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_before_is_left() {
        let mut vec = vec![1, 2, 3];
        fill(&mut vec, 2, 7);
        assert_eq!(vec, [7, 7]);
        fill(&mut vec, 100, 0);
        assert!(vec.len() == 100 && vec.iter().all(|&x| x == 0));
        room(&mut vec, 50);
        assert!(vec.is_empty() && vec.capacity() >= 100);
        assert!(held(&vec) >= 400);
    }

    #[test]
    fn large_ones_grow_by_a_quarter() {
        let mut vec = Vec::new();
        for number in 0..10 * LARGE {
            push(&mut vec, number);
            assert!(vec.len() <= LARGE || 4 * vec.capacity() <= 5 * vec.len());
        }
        assert!(vec.iter().enumerate().all(|(at, &number)| at == number));
    }

    #[test]
    fn large_ones_give_their_room_back() {
        let mut vec = vec![7u8; LARGE];
        vec.reserve_exact(LARGE / 8);
        trim(&mut vec);
        assert!(vec.capacity() > LARGE && vec.len() == LARGE);
        vec.reserve_exact(LARGE / 8 + 1);
        trim(&mut vec);
        assert_eq!((vec.capacity(), vec.len()), (LARGE, LARGE));
        cut(&mut vec, LARGE - 1);
        assert_eq!((vec.capacity(), vec.len()), (LARGE - 1, LARGE - 1));
        vec.push(7);
        release(&mut vec);
        assert_eq!((vec.capacity(), vec.len()), (0, 0));
        let mut few = Vec::with_capacity(LARGE);
        few.push(1);
        trim(&mut few);
        release(&mut few);
        assert!(few.is_empty() && few.capacity() >= LARGE);
    }
}
