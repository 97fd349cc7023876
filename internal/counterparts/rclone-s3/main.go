// Command rclone-s3 is rclone with the commands and the backend that serve a local
// folder as an object store with the interface of S3:
//
//	rclone-s3 serve s3 --addr 127.0.0.1:9000 --auth-key KEY,SECRET FOLDER
package main

import (
	_ "github.com/rclone/rclone/backend/local"
	"github.com/rclone/rclone/cmd"
	_ "github.com/rclone/rclone/cmd/serve"
	_ "github.com/rclone/rclone/cmd/serve/s3"
)

func main() { cmd.Main() }
