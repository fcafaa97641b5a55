/* Stands in for the C library's header where that one refuses to be included. */
