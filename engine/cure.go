package engine

// cures say what to do about a job that has failed with a code. The pages of the codes (streamql explain CODE) say more.
var cures = map[string]string{
	"SQ5004": "make the topic again and RESTART the job, or TERMINATE it",
	"SQ5006": "RESUME .. FROM OFFSETS goes on with the topic as it is now; else TERMINATE the job and make it again",
	"SQ5009": "TERMINATE the job and make it again: keys have moved to other partitions",
	"SQ5102": "RESTART the job when the record is gone, or make it again with on_error='deadletter'",
	"SQ7004": "RESTART the job in a process with more --job-memory",
	"SQ7005": "grant the right that the message names, and RESTART the job",
	"SQ7301": "put the group's positions back and RESTART the job, or RESUME .. FROM STATE or FROM OFFSETS says which of the two counts; else TERMINATE it",
	"SQ7302": "run the newer version and RESTART the job; streamql repair leaves out damaged records; else TERMINATE it",
	"SQ8001": "RESUME .. FROM OFFSETS goes on with what is still there; ON GAP SKIP in the query does so by itself",
	"SQ9001": "report the fault; RESTART the job when it is mended",
}

// cureOf is the cure of a code.
func cureOf(code string) string {
	if cure, ok := cures[code]; ok {
		return cure
	}
	return "streamql explain " + code + " says more; RESTART the job when the cause is gone, or TERMINATE it"
}
