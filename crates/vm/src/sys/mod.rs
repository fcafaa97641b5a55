//! What differs between machines: the stubs between host and guest, and machine contexts.

mod x64;

pub use x64::with_guest_floats;
pub(crate) use x64::{
    STATUS_FAULT, STATUS_FUEL, STATUS_LIBCALL, STATUS_PENDING, convert_stub_addresses, enter,
    enter_return_address, fuel_stub_address, host_thunk_address, libcall_stub_address,
    mask_exceptions, redirect, resume_from_fuel, resume_from_host, set_host_mode,
    spread_stub_address, trapped_divisor, trapped_fuel, trapped_parity, trapped_pc_sp,
    truncate_stub_address, with_host_floats,
};
