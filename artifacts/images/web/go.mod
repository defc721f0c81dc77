module lab.local/web

go 1.21
