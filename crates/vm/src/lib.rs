//! runwell-vm.
