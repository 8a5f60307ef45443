module github.com/kvsframes/kvsframes

go 1.26
