module sandman/sdk

go 1.24
