package engine

// cures has the advice for a failed job, by error code. streamql explain CODE describes each code in detail.
var cures = map[string]string{
	"SQ5004": "create the topic again and RESTART the job, or TERMINATE it",
	"SQ5006": "RESUME .. FROM OFFSETS continues with the new topic; otherwise TERMINATE the job and create it again",
	"SQ5009": "TERMINATE the job and create it again: keys have moved to other partitions",
	"SQ5102": "RESTART the job after the record has been deleted, or create it again with on_error='deadletter'",
	"SQ7004": "RESTART the job in a process with more --job-memory",
	"SQ7005": "grant the right that the message names, and RESTART the job",
	"SQ7301": "restore the group's offsets and RESTART the job, or choose with RESUME .. FROM STATE or FROM OFFSETS " +
		"which of the two is valid; otherwise TERMINATE it",
	"SQ7302": "run the newer version and RESTART the job; streamql repair skips damaged records; otherwise TERMINATE it",
	"SQ8001": "RESUME .. FROM OFFSETS continues with the earliest record that exists; " +
		"ON GAP SKIP in the query does so without a statement",
	"SQ9001": "report the fault; RESTART the job after it has been fixed",
}

// cureOf returns the advice for a code.
func cureOf(code string) string {
	if cure, ok := cures[code]; ok {
		return cure
	}
	return "streamql explain " + code + " describes the error; " +
		"RESTART the job after you have removed the cause, or TERMINATE it"
}
