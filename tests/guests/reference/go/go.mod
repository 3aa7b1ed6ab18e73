module reference-go

go 1.24

toolchain go1.26.8

require sandman/sdk v0.0.0

replace sandman/sdk => ../../../../guest/sdk-go
