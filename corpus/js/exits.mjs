// A guest's own exit code.
print('leaving');
exit(42);
