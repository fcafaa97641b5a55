return {name = "lib", square = function(x) return x * x end}
