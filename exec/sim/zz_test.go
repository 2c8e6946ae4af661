package sim
import ("testing";"os";"strings";"strconv")
func TestZZ(t *testing.T){ s,_:=strconv.ParseUint(os.Getenv("ZZ"),10,64); for i,f:=range []string{"/tmp/za","/tmp/zb"} { r:=Run(s,true); os.WriteFile(f,[]byte(strings.Join(r.Trace,"\n")),0o644); t.Log(i,r.Err) } }
