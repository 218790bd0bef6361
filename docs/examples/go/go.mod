module follow

go 1.17
