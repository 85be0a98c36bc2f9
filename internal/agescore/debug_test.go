package agescore
import ("testing";"os";"math")
func TestDebug(t *testing.T){
 for _,tr:=range generated(){ if tr.name!=os.Getenv("TR"){continue}
  work:=fixed; if os.Getenv("SVC")=="exp"{work=exponential}
  for _,s:=range score(tr,work,1,true){ if s.off()>1 && s.at>=tr.tuned && math.Mod(s.at,10)==0 { t.Logf("%.0f (%.0f) est %.0f truth %.0f ±%.0f c=%d", s.at, math.Mod(s.at,900), s.estimate,s.truth,s.uncertainty, tr.lagging(s.at)) } }
 }}
