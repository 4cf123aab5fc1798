package weather

import "syscall"

// mount puts an empty file system of 8 KiB over a directory.
func mount(dir string, readOnly bool) error {
	flags := uintptr(0)
	if readOnly {
		flags = syscall.MS_RDONLY
	}
	return syscall.Mount("weather", dir, "tmpfs", flags, "size=8k,nr_inodes=8,mode=0700")
}

func unmount(dir string) error { return syscall.Unmount(dir, syscall.MNT_DETACH) }
