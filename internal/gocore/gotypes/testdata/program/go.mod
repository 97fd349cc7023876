module types.example/program

go 1.21
