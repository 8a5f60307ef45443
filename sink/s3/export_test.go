package s3

// SetRoom has a store keep so many bytes of large objects in memory. It is called before any of them is begun.
func SetRoom(s *Store, n int64) { s.room.left.Store(n) }

// Room returns how many more bytes a store may keep in memory.
func Room(s *Store) int64 { return s.room.left.Load() }
